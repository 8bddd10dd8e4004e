"""The JSON schema of report.json, `report.schema.json`; `python -m experiments.report.schema` writes it anew."""

from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from experiments.report.contents import REPORT_VERSION, Report
from fer_data.files import write_json

SCHEMA = Path(__file__).with_name("report.schema.json")


class _Plain(GenerateJsonSchema):
    """Without a title for every field that says its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema() -> dict[str, Any]:
    """The schema of what `write_report` writes, from the types that read it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"report.json of fer-data-studio, version {REPORT_VERSION}",
        **{key: value for key, value in Report.model_json_schema(schema_generator=_Plain).items() if key != "title"},
    }


if __name__ == "__main__":
    write_json(SCHEMA, schema())
