"""bide: submit a generation job, bide, collect the result.

This package is what other services and plug-ins import; the application that
serves it (`config`, `tasks`, `workers`) is deployed from the repository.
"""

__version__ = "0.1.0"
