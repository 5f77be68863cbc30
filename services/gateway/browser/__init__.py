"""The pages that people see: server-rendered, whole without JavaScript, in Japanese and English.

`table.py` has every page with who may see it; a module per area answers; `endpoint.py` does what every page has in common: the
session, the check against other sites' forms, limits, parameters, and errors in the member's language.
"""
