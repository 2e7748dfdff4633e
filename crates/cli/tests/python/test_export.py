"""An exported Parquet file, read by another implementation: types, nulls, lists, and the values that JSON lines have."""

import datetime
import io
import json
import os
import subprocess
import urllib.parse
import urllib.request

import openai
import pyarrow
import pyarrow.parquet
import pytest
import stack as stack_module

TEXT = pyarrow.string()
NUMBER = pyarrow.int64()
TYPES = {
    "id": (TEXT, False),
    "began_at": (pyarrow.timestamp("us", tz="UTC"), False),
    "status": (NUMBER, True),
    "model_served": (TEXT, True),
    "streamed": (pyarrow.bool_(), False),
    "tags": (pyarrow.list_(pyarrow.field("element", TEXT, nullable=False)), False),
    "input_tokens": (NUMBER, True),
    "cost_micros": (NUMBER, True),
    "asked_preview": (TEXT, False),
    "request_bytes": (NUMBER, False),
}


@pytest.fixture
def exchanges(stack, session):
    """Calls that went well, streamed, and failed."""
    with openai.OpenAI(api_key="sk-test-0123456789", base_url=f"{stack.gateway}/~{session}/v1", max_retries=0) as client:
        for tags in ["red, two words", "", "green"]:
            client.chat.completions.create(
                model="gpt-4o-mini",
                messages=[{"role": "user", "content": "=1+1 how is the 天气?"}],
                extra_headers={"x-verbatim-tags": tags},
            )
        for _ in client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "stream"}], stream=True
        ):
            pass
        with pytest.raises(openai.NotFoundError):
            client.get("/no-such-path", cast_to=object)
    return stack.exchanges(session, 5)


def download(stack, session, form: str) -> bytes:
    query = urllib.parse.urlencode({"q": f"session:{session}", "format": form})
    with urllib.request.urlopen(f"{stack.web}/api/v1/export?{query}", timeout=30) as response:
        return response.read()


def as_json(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def test_parquet(stack, session, exchanges):
    file = pyarrow.parquet.ParquetFile(io.BytesIO(download(stack, session, "parquet")))
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    table = file.read()
    table.validate(full=True)
    for name, (kind, nullable) in TYPES.items():
        field = table.schema.field(name)
        assert (field.type, field.nullable) == (kind, nullable), name
    rows = [{name: as_json(value) for name, value in row.items()} for row in table.to_pylist()]
    lines = [json.loads(line) for line in download(stack, session, "jsonl").splitlines()]
    assert rows == lines
    assert [row["id"] for row in reversed(rows)] == [exchange["id"] for exchange in exchanges]
    assert sorted(row["status"] for row in rows) == [200, 200, 200, 200, 404]
    # A group can be left out by a reader that looks for another time.
    began = table.schema.get_field_index("began_at")
    statistics = file.metadata.row_group(0).column(began).statistics
    assert statistics.has_min_max and statistics.min == min(table["began_at"].to_pylist())


def test_parquet_from_the_command_line(stack, session, exchanges, tmp_path):
    output = tmp_path / "exchanges.parquet"
    arguments = ["--config", stack.config, "--data-dir", stack.data, "--query", f"session:{session}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VERBATIM_")}
    subprocess.run(
        [stack_module.BINARIES / "verbatim", "export", *arguments, "--format", "parquet", "--output", output],
        env=environment,
        cwd=tmp_path,
        check=True,
    )
    assert pyarrow.parquet.read_table(output).num_rows == len(exchanges)
    assert output.read_bytes() == download(stack, session, "parquet")
