"""Small XML files that come from elsewhere: parsed without document types and entities, which is how they attack."""

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from fer_data.errors import FerError

MAX_BYTES = 5 << 20


def parse_xml(data: bytes, where: str) -> Element:
    """The root element of an XML document.

    Raises:
        FerError: more than `MAX_BYTES` bytes, a document type or an entity, or no well-formed XML.
    """
    if len(data) > MAX_BYTES:
        raise FerError(f"{where}: expected at most {MAX_BYTES:,} bytes of XML, found {len(data):,}")
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise FerError(f"{where}: expected XML without document type and entities, found one with them")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise FerError(f"{where}: expected XML, found something else ({error})") from None
    return builder.close()
