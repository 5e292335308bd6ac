"""Small versions of the benchmark of `rg serve`: a flood of requests, and hostile uploads. One answer each."""

from pathlib import Path

from serving import serving

from benchmarks.serving import attack, flood, form, get, hostile, radiograph, upload


def test_every_request_of_a_flood_is_answered_with_200_or_429() -> None:
    with serving(queue=6) as server:
        done = flood(server.port, 400, clients=12)
        assert sum(done.statuses.values()) == 400 and set(done.statuses) <= {200, 429}
        assert done.statuses[200] > 20 and server.state.in_hand == 0
        assert done.late <= 1.05 * done.early + 8  # MiB; the process of the tests has other things in it


def test_hostile_uploads_get_one_answer_each_and_the_server_lives(tmp_path: Path) -> None:
    with serving(seconds=1.5, max_bytes=3_000_000, root=tmp_path) as server:
        found = attack(server.port, hostile(44), clients=12)
        for kind, statuses in found.items():
            allowed = {*range(200, 500), 504}  # 504: this machine is slow, and the server patient for 1.5 s only
            assert set(statuses) <= allowed, (kind, statuses)
        assert set(found["body of 1 GB by length"]) == {413} and set(found["endless body in parts"]) <= {413, 408}
        assert set(found["slow writer"]) | set(found["headers that never end"]) <= {400, 408}
        assert set(found["path out of the root"]) == {404} and set(found["other host"]) == {403}
        assert get(server.port, "/healthz") == b'{"status": "ok"}'
        assert upload(form(radiograph(1)))(server.port) == 200
