from tests.gateway.auth.conftest import doors

__all__ = ["doors"]
