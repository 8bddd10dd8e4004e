"""The parts of the page of an audit, one module each; `fer_data.audit_page` puts them in order.

A part is a function of the `Material`, and returns markup, "" where there is nothing to say. What it reads of the
audit's metadata stands in `summary`.
"""
