"""The command that runs circuits: run."""

import logging

import click

from . import output, results
from .shell import json_option, opened

_NOISE = "Simulate this device with its noise: a fake backend of qiskit-ibm-runtime, such as FakeSherbrooke."


@click.command()
@click.argument("file", type=click.Path())
@click.option("--backend", default="aer", show_default=True, help="aer (Qiskit Aer's simulator) or basic (Qiskit's own, slow).")
@click.option("--shots", type=click.IntRange(min=1), default=1024, show_default=True, help="How often each circuit is run.")
@click.option("--seed", type=click.IntRange(min=0), help="For the transpiler and the simulator; equal seeds give equal counts.")
@click.option("--noise-from", metavar="DEVICE", help=_NOISE)
@json_option("run")
@click.pass_obj
def run(where: str | None, file: str, backend: str, shots: int, seed: int | None, noise_from: str | None, as_json: bool) -> None:
    """Run circuits on a simulator and keep all about it.

    FILE is OpenQASM 2 or 3 (.qasm) or QPY (.qpy). Prints the new job's id and its counts. An archive is made where there is
    none yet. Nothing is run that could not be recorded.

    \b
    Example: qarchive run bell.qasm --shots 1000 --seed 7
    """
    from ..providers.qiskit import files

    logging.getLogger("qiskit_aer").setLevel(logging.CRITICAL)  # what it would print is in the job's error
    files.check_backend(backend, noise_from)
    circuits = files.read_circuits(file)
    simulator = files.simulator(backend, noise_from)
    prepared = files.prepare(circuits, simulator, seed)
    with opened(where, create=True, on_error="raise") as archive:
        for circuit in prepared:
            if not files.measures(circuit):
                output.note(f"warning: the circuit {circuit.name} measures nothing, so it has no counts")
        options = {"shots": shots} | ({"seed_simulator": seed} if seed is not None else {})
        native = archive.wrap(simulator).run(prepared if len(prepared) > 1 else prepared[0], **options)
        job = archive.record(native)
        if not as_json:
            output.write(job.id[:12])
        job.wait()
        has_result = "result" in job.outcome
        if as_json:
            circuits = results.as_json(job) if has_result else []
            output.document("run", job=job.id, status=job.status, error=job.error, circuits=circuits)
        elif has_result:
            results.show(job)
        results.judge(job)
