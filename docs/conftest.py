"""These pages hold no doctests of their own: tests/docs runs their code, and the reference's examples stand in src."""

collect_ignore_glob = ["*.md", "*/*.md"]
