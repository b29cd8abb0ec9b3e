"""What a provider cannot read of an archive is told in qarchive's own words, with the SDK's error as the cause."""

import pytest

from qarchive.errors import BadInput, MissingExtra, QArchiveError
from qarchive.providers import registry
from qarchive.providers.base import Provider
from qarchive.providers.limits import number_of
from qarchive.values import Link

HINT = "look whether `job.environment` names another version of the SDK, or ask whoever made it"
JOB = {"type": "job", "input": Link(bytes(32)), "config": Link(bytes(32))}
OUTCOME = {"type": "outcome", "result": Link(bytes(32))}


def held(link):
    """A value that no provider writes, whatever is asked for."""
    return {"type": "qiskit.circuits", "results": 3, "circuits": 3}


def test_a_result_that_is_none_is_bad_input_and_says_what_the_sdk_said():
    with pytest.raises(BadInput) as caught:
        registry.named("aer").load_result(held, JOB, OUTCOME)
    assert str(caught.value) == (
        "the result of this job: the provider aer cannot read what is archived of it "
        f"(TypeError: 'int' object is not iterable); {HINT}"
    )
    assert type(caught.value.__cause__) is TypeError


@pytest.mark.parametrize("name", registry.built_in())
def test_no_reader_of_any_provider_raises_what_is_not_ours(name):
    provider = registry.named(name)
    asked = [(provider.load_input, (JOB,)), (provider.text, (JOB,)), (provider.load_result, (JOB, OUTCOME)),
             (provider.counts, (JOB, OUTCOME, 0)), (provider.data, (JOB, OUTCOME)), (provider.load_attachment, ({},)),
             (provider.load_backend, (JOB, {}, None))]  # fmt: skip
    for read, args in asked:
        try:
            read(held, *args)
        except QArchiveError:
            pass


@pytest.mark.parametrize("error", [MissingExtra("a circuit", "aer"), MemoryError(), OSError(5, "read"), KeyboardInterrupt()])
def test_what_is_not_about_the_value_stays_what_it_was(error):
    def fail(link):
        raise error

    with pytest.raises(type(error)) as caught:
        registry.named("aer").load_result(fail, JOB, OUTCOME)
    assert caught.value is error


def test_providers_of_other_packages_are_held_to_it_too():
    class Other(type(registry.named("aer"))):
        name = "other"

        def text(self, get, job):
            return [job["nothing"]]

    assert issubclass(Other, Provider)
    with pytest.raises(BadInput, match="the input of this job: the provider other cannot read what is archived of it .KeyError"):
        Other().text(held, JOB)


@pytest.mark.parametrize("number", [-1, (1 << 20) + 1, 1.0, True, "1", None])
def test_a_number_that_calls_for_too_much_is_refused(number):
    assert number_of(1 << 20, "qubits") == 1 << 20
    with pytest.raises(BadInput, match="a value of this job: says that there are .* qubits, and at most 1,048,576 are made"):
        number_of(number, "qubits")
