"""Pages out of templates, in which everything is escaped unless it was made by services.gateway.markup."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

# Pages load nothing but the style sheet and pictures of this address, run no script and cannot be framed.
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
# The one way around escaping: what services.gateway.markup has escaped already.
_templates.filters["made_by_markup"] = Markup


def page(template: str, code: int = 200, headers: Mapping[str, str] | None = None, **values: object) -> Response:
    """Return a page. Values are escaped by the template."""
    html = _templates.get_template(template).render(values)
    return Response(html, code, {"content-security-policy": POLICY, **(headers or {})}, "text/html")
