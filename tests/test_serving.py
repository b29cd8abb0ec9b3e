"""The live pages: what each address answers, to whom, and that a million jobs would be paged through."""

import re
from urllib.parse import quote

import pytest
from building import build
from page_lab import DAYS, EVIL, MAY_RUN, TAG, Page, fill, hostile

import qarchive
from qarchive.serving import listing, pages
from qarchive.serving.app import make

HOST = "127.0.0.1:8642"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with fill(tmp_path_factory.mktemp("lab") / "lab") as archive:
        yield archive


@pytest.fixture(scope="module")
def get(lab):
    client = make(lab, frozenset({HOST})).test_client()

    def answer(path, code=200, **options):
        found = client.get(path, **{"headers": {"Host": HOST}, **options})
        assert found.status_code == code, found.text
        return Page(found.text)

    answer.client = client
    return answer


@pytest.fixture
def many(store):
    """An archive of made-up jobs, a second apart: 120 of two backends, every third of them failed."""
    for number in range(120):
        status = "ERROR" if number % 3 == 0 else "DONE"
        built = build(number, created=1_700_000_000_000_000_000 + number * 10**9, backend=f"device_{number % 2}", status=status,
                      tags=["odd"] if number % 2 else [], group="all", provider_job=f"theirs-{number}",
                      names=[f"circuit-{number}"])  # fmt: skip
        store.commit(built.blobs, durable=False)
    store.close()
    with qarchive.open(store.path) as archive:
        client = make(archive, frozenset({HOST})).test_client()
        yield archive, lambda path: Page(client.get(path, headers={"Host": HOST}).text)


def ids(page):
    """The jobs that a list shows, in its order."""
    return [a["value"] for a in page.all("input") if a.get("name") == "job"]


def leads_of(page, path):
    """The texts of the links that lead to a path."""
    return re.findall(rf'<a href="{re.escape(path)}"[^>]*>(?:<[^>]*>)?([^<]*)', page.text.replace("&amp;", "&"))


def leads(page, text):
    """Where the links with this text lead."""
    return re.findall(rf'<a href="([^"]*)"[^>]*>{text}</a>', page.text.replace("&amp;", "&"))


def test_the_first_page_lists_the_newest_jobs_first(get, lab):
    page = get("/")
    assert ids(page) == [job.id for job in lab.jobs()]
    assert page.said("h1") == "Jobs" and f"{len(lab.jobs())} jobs" in page.said("p").lower()


@pytest.mark.parametrize("query, number", [
    ("status=ERROR", 1), ("status=DONE", DAYS + 4), ("status=QUEUED", 0), ("provider=aer", 3), ("backend=generic*", DAYS + 1),
    ("backend=generic_backend_5q&tag=paper", DAYS), ("group=days", DAYS), ("kind=mock", 0), ("tag=nothing", 0),
    ("since=2100-01-01", 0), ("until=2100-01-01&kind=simulator", DAYS + 5), ("since=2020-01-01&until=2021-01-01", 0),
])  # fmt: skip
def test_filters_filter(get, query, number):
    page = get(f"/?{query}")
    assert len(ids(page)) == number
    assert number or "No job fits." in page.said("p")


def test_a_filter_stays_in_its_field(get):
    page = get("/?status=DONE&tag=paper")
    assert next(a for a in page.all("input") if a.get("name") == "tag")["value"] == "paper"
    assert [a["value"] for a in page.all("option") if "selected" in a] == ["DONE"]


def test_paging_reaches_every_job_once_both_ways(many):
    archive, get = many
    seen, path = [], "/"
    while path:
        page = get(path)
        seen += ids(page)
        path = next(iter(leads(page, "Older")), None)
    assert seen == [job.id for job in archive.jobs()]
    back, path = ids(page), next(iter(leads(page, "Newer")))
    while path:
        page = get(path)
        back = ids(page) + back
        path = next(iter(leads(page, "Newer")), None)
    assert back == seen
    assert leads(get(leads(get("/"), "Older")[0]), "Newest") == ["/"] * 2


def test_paging_keeps_the_filters(many):
    archive, get = many
    [older, _] = leads(get("/?status=DONE"), "Older")
    assert "status=DONE" in older
    assert ids(get(older)) == [job.id for job in archive.jobs(status="DONE")][listing.PAGE :]


def test_jobs_are_counted_up_to_a_bound(many, monkeypatch):
    _, get = many
    assert "120 jobs" in get("/").said("p").lower()
    monkeypatch.setattr(listing, "COUNTED", 100)
    assert "More than 100 jobs" in get("/").said("p")


def test_a_new_job_shows_up_at_the_next_load(many):
    archive, get = many
    before = ids(get("/"))
    built = build(1000, created=1_800_000_000_000_000_000)
    with qarchive.open(archive.path) as other:
        other._store.commit(built.blobs, durable=True)
        assert ids(get("/"))[:2] == [built.id.hex(), before[0]]


@pytest.mark.parametrize("text", ["theirs-7", "7"])
def test_a_search_for_an_id_leads_to_the_job(many, text):
    archive, _ = many
    job = archive.job("theirs-7")
    client = make(archive, frozenset({HOST})).test_client()
    found = client.get("/", query_string={"q": job.id[:10] if text == "7" else text}, headers={"Host": HOST})
    assert (found.status_code, found.headers["Location"]) == (303, f"/job/{job.id}")


def test_a_search_finds_tags_groups_backends_and_names(get, lab):
    assert len(ids(get("/?q=paper"))) == DAYS and leads(get("/?q=paper"), "tag paper") == ["/?tag=paper"]
    assert len(ids(get("/?q=days"))) == DAYS
    assert len(ids(get("/?q=generic_backend_5q"))) == DAYS + 1
    assert [lab.job(id).row.names for id in ids(get("/?q=SECO"))] == [("first", "second")]
    assert ids(get("/?q=first&status=ERROR")) == [] and "0 jobs found" in get("/?q=no such thing").said("p")


def test_what_a_search_finds_by_name_can_be_paged_through(many):
    archive, get = many
    [found] = leads(get("/?q=CIRCUIT"), "text CIRCUIT in a circuit's name")
    page = get(found)
    assert len(ids(page)) == listing.PAGE and len(leads(page, "Older")) == 2
    assert "name=CIRCUIT" in leads(page, "Older")[0]


def test_a_job_has_a_page_under_every_name_of_its(get, lab):
    job = lab.job("days/2")
    for reference in (job.id, job.id[:8], "days/2", job.provider_job):
        page = get(f"/job/{quote(reference, safe='/')}")
        assert page.said("h1") == "day 1" and job.seal in page.said("code")
    assert "/?tag=paper" in leads(page, "paper") and f"/group/{lab.group('days').id}" in leads(page, "days")


def test_a_calibration_has_a_page_with_all_figures(get, lab):
    job = lab.job("days/1")
    [path] = leads(get(f"/job/{job.id}"), "All qubits and gates")
    page = get(path)
    assert page.said("h2").split(" ")[:3] == ["Map", "Figures", "Qubits"] and "Gate cx" in page.said("h2")
    ids = [a["id"] for tag, a in page.tags if tag == "h2"]
    assert [a["href"] for a in page.all("a") if a["href"].startswith("#part-")] == [f"#{id}" for id in ids]
    assert page.said("figcaption").startswith("generic_backend_5q: 5 qubits") and "readout_error" not in page.said()
    assert page.said("td").count("q4 ") >= 1
    assert "is not in job" in get(f"/job/{job.id}/calibration?phase=run", 404).said("p")


def test_two_jobs_are_compared(get, lab):
    one, other = lab.job("days/1"), lab.job("days/3")
    page = get(f"/diff/{one.id[:12]}/{other.id[:12]}")
    assert "They differ in:" in page.said("p") and "Figures that moved" in page.said("caption")
    assert page.said("h2").count("differs") >= 1 and {one.id[:12], other.id[:12]} <= set(page.said("code").split())
    assert get(f"/diff?job={one.id}&job={other.id}").said("h2") == page.said("h2")
    same = get(f"/diff/{one.id}/{one.id}")
    assert "They differ in nothing that was compared." in same.said("p")


def test_other_than_two_are_not_compared(get):
    told = "The comparison: is of two jobs, and 0 are chosen; choose two in the list of jobs"
    assert told in get("/diff", 400).said("p")


def test_groups_are_listed_and_have_pages(get, lab):
    page = get("/groups")
    group = lab.group("days")
    assert leads(page, "days") == [f"/group/{group.id}"] and EVIL in page.said("a")
    assert f"{group.created:%Y-%m-%d %H:%M}" in page.said("time")
    page = get(f"/group/{group.id}")
    assert ids(page) == [job.id for job in group] and "circuits 0-2: done" in page.said("li")
    assert get("/group/" + "0" * 64, 404).said("h1") == "Not found"


def test_groups_are_paged(get, monkeypatch):
    monkeypatch.setattr(pages, "_GROUPS", 1)
    first = get("/groups")
    assert leads(first, "More") == ["/groups?after=1"]
    assert leads(get("/groups?after=1"), "More") == [] and get("/groups?after=1").said("a") != first.said("a")


def test_the_jobs_of_a_large_group_are_paged(many):
    archive, _ = many
    [row] = archive._store.index.groups() or [None]
    assert row is None  # these jobs have a label, and no place: the list of jobs shows them
    assert len(archive.jobs(group="all")) == 120


def test_devices_are_listed_and_show_their_drift(get, monkeypatch):
    assert leads(get("/devices"), "generic_backend_5q") == ["/device/generic_backend_5q"]
    page = get("/device/generic_backend_5q")
    assert "medians of T1 and T2" in page.said("figcaption") and "medians of errors" in page.said("figcaption")
    assert f"{DAYS + 1}" == next(iter(leads_of(page, "/?backend=generic_backend_5q")))
    assert "T1" in page.said("td") and "5 qubits" in page.said("figcaption")
    page = get("/device/aer_simulator")
    assert "No job on it has a calibration." in page.said("p") and not page.all("figure")
    monkeypatch.setattr(listing, "LATEST", 1)
    page = get("/device/aer_simulator")
    assert "None of its latest 1 jobs has a calibration." in page.said("p")
    assert "The device 'nonexist' is not in" in get("/device/nonexist", 404).said("p")


def test_a_device_with_one_calibration_shows_it(lab, tmp_path):
    day = lab.job("days/1")
    lab.export(tmp_path / "day.qar", [day.id])
    with qarchive.open(tmp_path / "day.qar") as archive:
        page = Page(make(archive, frozenset({HOST})).test_client().get(f"/device/{day.backend}", headers={"Host": HOST}).text)
    assert "readout error" in page.said("td") and "5 qubits" in page.said("figcaption")
    assert leads_of(page, f"/job/{day.id}/calibration?phase=submit") == ["All qubits and gates"] and leads_of(
        page, f"/?backend={day.backend}"
    ) == ["1"]
    assert "Its drift is shown once there are two calibrations." in page.said("p")


def test_devices_say_how_much_they_were_used_and_when(get, lab):
    page, day = get("/devices"), next(iter(lab.jobs(backend="generic_backend_5q")))
    assert leads_of(page, "/?backend=generic_backend_5q") == [str(DAYS + 1)]
    assert leads_of(page, f"/job/{day.id}") == leads_of(page, f"/job/{day.id}/calibration") == [f"{day.created:%Y-%m-%d %H:%M}"]


def test_devices_are_counted_up_to_a_bound_and_paged(many, monkeypatch):
    _, get = many
    assert leads_of(get("/devices"), "/?backend=device_0") == ["60"]
    monkeypatch.setattr(listing, "LATEST", 10)
    monkeypatch.setattr(listing, "COUNTED", 50)
    monkeypatch.setattr(pages, "_DEVICES", 1)
    page = get("/devices")
    assert leads_of(page, "/?backend=device_0") == ["more than 50"] and leads(page, "More") == ["/devices?after=device_0"]
    page = get("/devices?after=device_0")
    assert leads_of(page, "/?backend=device_1") == ["more than 50"] and leads(page, "More") == []


@pytest.mark.parametrize("path", ["/", "/groups", "/devices", "/job/latest", "/?q=script", "/diff/latest/@2"])
def test_nothing_of_a_job_becomes_markup(get, path):
    page = get(path)
    assert not (MAY_RUN - {"form"}) & {tag for tag, _ in page.tags}
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert "\x1b" not in page.text and "\u202e" not in page.text


def test_hostile_labels_lead_where_they_say(get, lab):
    job = hostile(lab)
    links = [a["href"] for a in get("/").all("a")]
    assert f"/?tag={quote(TAG, safe='').replace('%20', '+')}" in links
    assert ids(get(next(link for link in links if link.startswith("/?group=%3Cscript")))) == [job.id]


@pytest.mark.parametrize("path", ["/", "/job/latest", "/nowhere", "/job/none"])
def test_every_answer_has_headers_that_keep_it_here(get, path):
    headers = get.client.get(path, headers={"Host": HOST}).headers
    parts = headers["Content-Security-Policy"].split("; ")
    assert re.fullmatch(r"style-src 'sha256-[\w+/]{43}='", parts.pop(1))
    assert parts == ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store" and headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Set-Cookie" not in headers and "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8642", "127.0.0.1", "127.0.0.1:80", "localhost:8642.evil.example"]
)
def test_another_name_for_this_computer_is_refused(get, host):
    assert get.client.get("/job/latest", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_reading_is_answered(get, method):
    assert get.client.open("/", method=method, headers={"Host": HOST}).status_code == 405
    assert get.client.head("/", headers={"Host": HOST}).status_code == 200


@pytest.mark.parametrize("path, code, told", [
    ("/nowhere", 404, "There is no page at this address."),
    ("/?status=LOST", 400, "The status 'LOST': does not exist"),
    ("/?since=yesterday", 400, "The date 'yesterday': is none; give one such as 2026-11-21."),
    ("/?after=1-2", 400, "The place '1-2': is none; begin at the first page."),
    ("/?after=99999999999999999999-" + "0" * 64, 400, "is none; begin at the first page"),
])  # fmt: skip
def test_what_cannot_be_answered_is_said(get, path, code, told):
    page = get(path, code)
    assert told in page.said("p") and leads(page, "All jobs") == ["/"]


def test_a_reader_is_led_to_a_list_and_to_no_command(get, lab):
    page = get("/job/ffffffff", 404)
    assert f"Job 'ffffffff' is not in {lab.path}." in page.said("p") and "qarchive list" not in page.said()


def test_a_reference_to_several_jobs_shows_them(store):
    built = [build(number, provider_job="same") for number in (1, 2)]
    for each in built:
        store.commit(each.blobs, durable=True)
    store.close()
    with qarchive.open(store.path) as archive:
        found = make(archive, frozenset({HOST})).test_client().get("/job/same", headers={"Host": HOST})
    assert found.status_code == 300
    assert all(each.id.hex()[:16] in Page(found.text).said("code") for each in built)


def test_an_empty_archive_has_pages(store):
    store.close()
    with qarchive.open(store.path) as archive:
        client = make(archive, frozenset({HOST})).test_client()
        said = [Page(client.get(path, headers={"Host": HOST}).text).said("p") for path in ("/", "/groups", "/devices")]
    assert "There is no job in this archive yet." in said[0] and "There is no group in this archive." in said[1]
    assert "There is no job in this archive yet." in said[2]


def test_a_bundle_is_served_like_an_archive(lab, tmp_path):
    lab.export(tmp_path / "days.qar", ["days"])
    with qarchive.open(tmp_path / "days.qar") as archive:
        client = make(archive, frozenset({HOST})).test_client()
        assert len(ids(Page(client.get("/", headers={"Host": HOST}).text))) == DAYS
