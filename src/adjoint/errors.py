"""The errors that users meet, and how their messages are put together.

    AdjointError
    ├── ShapeError (ValueError)        shapes that do not fit together
    │   └── IndexRangeError (IndexError)   an index outside an axis
    ├── DTypeError (TypeError)         a dtype or kind of value that an operation cannot take
    ├── GradientError (RuntimeError)   a gradient that does not exist, is ambiguous, or is wrong
    │   └── GradientCheckError         a gradient that differs from the numerical one
    ├── ImmutableError (TypeError)     a Tensor or recorded value that somebody tried to change in place
    ├── TraceError (RuntimeError)      a function that cannot be compiled: it asks for a value that is not known yet
    ├── LabelError (ValueError)        a class label outside the range of the scores
    ├── DataError (ValueError)         a table, data set or batch that cannot be used
    ├── ExpressionError (ValueError)   a text that is not an expression of `adjoint explain`
    ├── ModelFileError (ValueError)    a file that is not a model of ours, or a damaged one
    ├── DocumentError (ValueError)     data that are no graph document, or one that would be too large
    ├── ExtraMissingError (ImportError)   a part of the library whose extra is not installed
    ├── ViewerMissingError (RuntimeError)  the viewer's page, which was not built
    └── NumericalError (ArithmeticError)  a computation whose numbers became infinite or NaN

Every class also derives from the builtin that a NumPy user would catch. A message reads
`op: expected …, got … (argument, shapes), at FILE:LINE in net.layers.1; what to do`.
"""

from __future__ import annotations


class AdjointError(Exception):
    """Base of every error that this library raises on purpose.

    Example
    -------
    >>> import adjoint as ad
    >>> try:
    ...     ad.tensor([1.0, 2.0]) + ad.tensor([1.0, 2.0, 3.0])
    ... except ad.AdjointError as error:
    ...     type(error).__name__
    'ShapeError'
    """


class ShapeError(AdjointError, ValueError):
    """Shapes that do not fit together."""


class IndexRangeError(ShapeError, IndexError):
    """An index outside an axis."""


class DTypeError(AdjointError, TypeError):
    """A dtype or a kind of value that an operation cannot take."""


class GradientError(AdjointError, RuntimeError):
    """A gradient that does not exist, is ambiguous, or has the wrong shape."""


class GradientCheckError(GradientError):
    """An analytic gradient that differs from the numerical one."""


class ImmutableError(AdjointError, TypeError):
    """A Tensor or a recorded value that somebody tried to change in place."""


class TraceError(AdjointError, RuntimeError):
    """A function that cannot be compiled as it is written: it needs a value that is only known when it runs."""


class LabelError(AdjointError, ValueError):
    """A class label outside the range of the scores."""


class DataError(AdjointError, ValueError):
    """A table, data set or batch that cannot be used."""


class ExpressionError(AdjointError, ValueError):
    """A text that is not an expression of `adjoint explain`."""


class ModelFileError(AdjointError, ValueError):
    """A file that is not a model of this library, or a damaged one."""


class DocumentError(AdjointError, ValueError):
    """Data that are no graph document, or one that would be too large."""


class ExtraMissingError(AdjointError, ImportError):
    """A part of this library that needs packages which are not installed."""


class ViewerMissingError(AdjointError, RuntimeError):
    """The package has no `viewer.js`: it was not built."""


class NumericalError(AdjointError, ArithmeticError):
    """A computation whose numbers became infinite or NaN, such as a training that diverged."""
