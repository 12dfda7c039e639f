"""What can be wrong with a source, one class per thing the caller does differently."""


class SourceProblem(Exception):
    """A source cannot be read; nothing of this pull was kept."""


class SourceUnavailable(SourceProblem):
    """The source does not answer or asks to wait; the same pull may work later, so a retry is right."""


class SourceRefused(SourceProblem):
    """The source refuses our credentials or rights; somebody must correct them, a retry is useless."""


class SourceShapeChanged(SourceProblem):
    """The source does not look as its YAML says (column, file, field); somebody must correct one of the two."""
