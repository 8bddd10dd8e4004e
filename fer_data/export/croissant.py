"""`croissant.json`: what an export is, in the vocabulary that data set search engines and loaders read.

Croissant 1.0 (Akhtar et al., "Croissant: A Metadata Format for ML-Ready Datasets", DEEM 2024, arXiv 2403.19546;
specification at https://docs.mlcommons.org/croissant/docs/croissant-spec.html) with its responsible-AI extension
(https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html). Written by hand: the package `mlcroissant`,
which validates it in the tests, is not needed to write it.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from fer_data.export.columns import MEANING, croissant_type, meaning
from fer_data.files import sha256_file

FACES = "faces"
PARQUET = "application/x-parquet"
PICTURES = MappingProxyType({"fileSet": {"@id": "pictures"}})

_MEDIA_TYPES = MappingProxyType({"png": "image/png", "jpg": "image/jpeg"})

CONTEXT = MappingProxyType(
    {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "citeAs": "cr:citeAs",
        "column": "cr:column",
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "equivalentProperty": "cr:equivalentProperty",
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "extract": "cr:extract",
        "field": "cr:field",
        "fileProperty": "cr:fileProperty",
        "fileObject": "cr:fileObject",
        "fileSet": "cr:fileSet",
        "format": "cr:format",
        "includes": "cr:includes",
        "isLiveDataset": "cr:isLiveDataset",
        "jsonPath": "cr:jsonPath",
        "key": "cr:key",
        "md5": "cr:md5",
        "parentField": "cr:parentField",
        "path": "cr:path",
        "recordSet": "cr:recordSet",
        "references": "cr:references",
        "regex": "cr:regex",
        "repeated": "cr:repeated",
        "replace": "cr:replace",
        "samplingRate": "cr:samplingRate",
        "sc": "https://schema.org/",
        "separator": "cr:separator",
        "source": "cr:source",
        "subField": "cr:subField",
        "transform": "cr:transform",
    }
)


def file_object(folder: Path, path: str, media_type: str) -> dict[str, Any]:
    """A file of the export, with its SHA-256."""
    file = folder / path
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{file.stat().st_size} B",
        "encodingFormat": media_type,
        "sha256": sha256_file(file),
    }


def file_set(
    name: str, includes: Sequence[str], media_type: str | Sequence[str], containers: Sequence[str] = ()
) -> dict[str, Any]:
    """Files that match a pattern, in the folder or within the FileObjects `containers`."""
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        **({"containedIn": [{"@id": container} for container in containers]} if containers else {}),
        "encodingFormat": media_type,
        "includes": list(includes),
    }


def picture_set(suffixes: Collection[str], containers: Sequence[str] = ()) -> dict[str, Any]:
    """The FileSet that `PICTURES` names: files of these endings, in the folder or within `containers`."""
    endings = sorted(suffixes)
    media_types = [_MEDIA_TYPES[ending] for ending in endings]
    return file_set("pictures", [f"*.{ending}" for ending in endings], media_types, containers)


def picture_field() -> dict[str, Any]:
    """The field of the pictures in that FileSet."""
    return field("image", "sc:ImageObject", {**PICTURES, "extract": {"fileProperty": "content"}}, MEANING["image"])


def field(column: str, data_type: str, source: Mapping[str, Any], description: str, **more: Any) -> dict[str, Any]:
    """A field of the record set "faces"."""
    return {
        "@type": "cr:Field",
        "@id": f"{FACES}/{column}",
        "name": column,
        "description": description,
        "dataType": data_type,
        **more,
        "source": dict(source),
    }


def column_fields(schema: pa.Schema, source: Mapping[str, Any], votes_labels: Sequence[str]) -> list[dict[str, Any]]:
    """Fields for the columns of a table."""
    fields = []
    for column in schema:
        data_type, repeated = croissant_type(column.type)
        from_column = {**source, "extract": {"column": column.name}}
        more = {"repeated": True} if repeated else {}
        fields.append(field(column.name, data_type, from_column, meaning(column.name, votes_labels), **more))
    return fields


def enumeration(name: str, description: str, values: Sequence[str]) -> dict[str, Any]:
    """A record set that lists numbered values, its data in the file itself."""
    kinds = {"index": "sc:Integer", "name": "sc:Text"}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{name}/name"},
        "field": [
            {"@type": "cr:Field", "@id": f"{name}/{key}", "name": key, "dataType": kind} for key, kind in kinds.items()
        ],
        "data": [{f"{name}/index": index, f"{name}/name": value} for index, value in enumerate(values)],
    }
