"""The page that describes the API: plain, in English, and without a script. People's pages are services.gateway.browser's."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from services.gateway.static_files import address_of

# It loads nothing but the style sheet of this address, runs no script and cannot be framed.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_templates = Environment(
    loader=PackageLoader("services.gateway"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["asset"] = address_of


def page(template: str, code: int = 200, headers: Mapping[str, str] | None = None, **values: object) -> Response:
    """Return a page. Values are escaped by the template."""
    html = _templates.get_template(template).render(values)
    return Response(html, code, {"content-security-policy": POLICY, **(headers or {})}, "text/html")
