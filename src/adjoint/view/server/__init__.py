"""The studio: the viewer as a web app on this machine, with an expression playground and live training.

`serving` runs it, `studio` holds what is open, `routes` says which address does what, `guard` who may ask, `session`
trains. What the studio needs of the layers above this package (the language of expressions, tables, models) is handed
to it as `tools.Tools`. Starlette and uvicorn are the extra `studio`; nothing else imports them.
"""
