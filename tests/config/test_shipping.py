"""What Promtail, Alloy and Loki have to agree on, so that each line arrives, once, under four labels."""

import re
from typing import Any

import yaml

from tests.config.links import PROJECT

LABELS = {"service", "environment", "level", "logger"}
METADATA = {"request_id", "trace_id", "span_id", "user_id"}
PROMTAIL = yaml.safe_load((PROJECT / "promtail/promtail.yml").read_text())
LOKI = yaml.safe_load((PROJECT / "loki/loki.yml").read_text())
ALLOY = (PROJECT / "alloy/logs.alloy").read_text()


def stages() -> dict[str, Any]:
    return {kind: body for stage in PROMTAIL["scrape_configs"][0]["pipeline_stages"] for kind, body in stage.items()}


def names_in(stage: str) -> set[str]:
    """The names that a stage of Alloy's is given."""
    found = re.search(rf"stage\.{stage} {{.*?(?:values|expressions) = {{(.*?)}}", ALLOY, re.DOTALL)
    assert found is not None, stage
    return set(re.findall(r'(\w+)\s*= ""', found[1]))


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m|h)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def test_both_shippers_give_four_labels_and_keep_ids_beside_them() -> None:
    assert set(stages()["labels"]) == names_in("labels") == LABELS
    assert set(stages()["structured_metadata"]) == names_in("structured_metadata") == METADATA
    assert set(stages()["json"]["expressions"]) == names_in("json") == LABELS | METADATA | {"timestamp"}
    assert stages()["labeldrop"] == ["filename"]
    assert 'values = ["filename"]' in ALLOY


def test_loki_adds_no_label_of_its_own() -> None:
    limits = LOKI["limits_config"]
    assert limits["discover_service_name"] == []
    assert limits["discover_log_levels"] is False
    assert limits["shard_streams"] == {"enabled": False}


def test_both_read_the_same_files_and_mark_the_same_lines() -> None:
    (path,) = [one["labels"]["__path__"] for one in PROMTAIL["scrape_configs"][0]["static_configs"]]
    assert f'"__path__" = "{path}"' in ALLOY
    marks = stages()["match"]["stages"][0]["static_labels"]
    assert all(re.search(rf'{name}\s*= "{value}"', ALLOY) for name, value in marks.items())
    assert set(marks) | {"environment"} == LABELS


def test_neither_gives_a_line_up() -> None:
    assert PROMTAIL["clients"][0]["backoff_config"]["max_retries"] == 0
    assert re.search(r"max_backoff_retries\s*= 0\b", ALLOY)


def test_a_position_is_saved_long_after_the_lines_before_it_have_arrived() -> None:
    under_way = seconds(PROMTAIL["clients"][0]["batchwait"])
    assert seconds(PROMTAIL["positions"]["sync_period"]) >= 20 * under_way


def test_positions_survive_a_new_container() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    folder = PROMTAIL["positions"]["filename"].rpartition("/")[0]
    assert any(re.match(rf"[\w-]+:{folder}$", mount) for mount in services["promtail"]["volumes"])
    overlay = yaml.safe_load((PROJECT / "docker-compose.alloy.yml").read_text())["services"]["alloy"]
    (storage,) = [word.partition("=")[2] for word in overlay["command"] if word.startswith("--storage.path=")]
    assert any(
        storage.startswith(mount.split(":")[1]) for mount in overlay["volumes"] if mount.startswith("alloy-data:")
    )


def test_a_line_is_as_long_for_promtail_as_for_loki() -> None:
    ours, theirs = PROMTAIL["limits_config"], LOKI["limits_config"]
    assert ours["max_line_size"] == theirs["max_line_size"]
    assert ours["max_line_size_truncate"] is theirs["max_line_size_truncate"] is True


def test_what_is_sent_again_and_what_comes_late_fits_into_loki() -> None:
    ingester = LOKI["ingester"]
    assert ingester["chunk_target_size"] >= 1.5 * ingester["chunk_block_size"], "a block has to fit into its chunk"
    # 500 lines of 430 bytes a second, for the two periods that a killed Promtail may send again:
    again = 500 * 430 * 2 * seconds(PROMTAIL["positions"]["sync_period"])
    assert ingester["chunk_block_size"] >= again
    assert seconds(ingester["max_chunk_age"]) / 2 >= 12 * 3600, "a night without Loki"
    assert LOKI["limits_config"]["reject_old_samples"] is False


def test_lines_and_traces_are_kept_for_the_same_seven_days() -> None:
    tempo = yaml.safe_load((PROJECT / "tempo/tempo.yml").read_text())
    kept = tempo["backend_worker"]["compaction"]["block_retention"]
    assert LOKI["limits_config"]["retention_period"] == "${LOKI_RETENTION:-168h}"
    assert kept == "${TEMPO_RETENTION:-168h}"
    assert LOKI["compactor"]["retention_enabled"] is True
    assert LOKI["compactor"]["delete_request_store"] == "filesystem"
