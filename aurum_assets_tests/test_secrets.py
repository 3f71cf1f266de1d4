"""No credential is written anywhere. ``make prove`` runs all commands, and Dagster too."""

from pathlib import Path

from aurum_assets_tests.proofs.prove_secrets import PASSWORD, leak, prove_secrets
from aurum_assets_tests.proofs.searching import Search


def test_commands_that_succeed_or_fail_leave_no_credential_behind() -> None:
    proof = prove_secrets(only=["collect", "wrong password, logged as JSON", "a traceback"])
    assert proof.broken == []
    assert proof.counts["processes run"] == 3
    assert proof.counts["secrets leaked on purpose"] == proof.counts["of them found"]


def test_a_leaked_credential_is_found_whatever_it_was_packed_into(tmp_path: Path) -> None:
    names = []
    for path in leak(tmp_path, PASSWORD):
        search = Search([PASSWORD])
        search.folder(tmp_path)
        assert search.hits, path
        names.append(path.name)
        path.unlink()
    assert {name.rpartition(".")[2] for name in names} == {"log", "gz", "parquet", "avro", "db"}
