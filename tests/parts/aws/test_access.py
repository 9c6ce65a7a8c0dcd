from __future__ import annotations

from pathlib import Path

import pytest

from voxengine.errors import AuthenticationError, ConfigurationError
from voxengine.providers.aws.access import find_access

pytestmark = pytest.mark.usefixtures("nowhere")


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing of this machine's own credentials; and no machine that could have a role."""
    for name in (
        "ACCESS_KEY_ID",
        "SECRET_ACCESS_KEY",
        "SESSION_TOKEN",
        "REGION",
        "DEFAULT_REGION",
        "PROFILE",
    ):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


async def test_options_come_before_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "env-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    nothing: dict[str, str] = {}
    found = await find_access(nothing.get, "nova")
    assert (found.key_id, found.secret, found.region) == ("env-id", "env-secret", "eu-west-1")
    options = {"aws_access_key_id": "id", "aws_session_token": "token", "region": "us-east-1"}
    found = await find_access(options.get, "nova", "secret")
    assert (found.key_id, found.secret, found.token, found.region) == (
        "id",
        "secret",
        "token",
        "us-east-1",
    )
    assert "secret" not in repr(found)
    assert found.secrets == ("secret", "token")


async def test_a_profile_is_read(nowhere: Path):
    (nowhere / "credentials").write_text(
        "[work]\naws_access_key_id = file-id\naws_secret_access_key = file-secret\n"
    )
    (nowhere / "config").write_text("[profile work]\nregion = ap-south-1\n")
    found = await find_access({"profile": "work"}.get, "nova")
    assert (found.key_id, found.secret, found.region) == ("file-id", "file-secret", "ap-south-1")


async def test_a_profile_that_there_is_not(nowhere: Path):
    with pytest.raises(ConfigurationError, match="nobody"):
        await find_access({"profile": "nobody", "region": "us-east-1"}.get, "nova")


async def test_no_credentials_are_a_failure_to_authenticate():
    with pytest.raises(AuthenticationError, match="AWS_ACCESS_KEY_ID"):
        await find_access({"region": "us-east-1"}.get, "nova")


async def test_no_region_and_no_secret_are_told():
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        await find_access({"aws_access_key_id": "id"}.get, "nova", "secret")
    with pytest.raises(ConfigurationError, match="aws_secret_access_key"):
        await find_access({"aws_access_key_id": "id", "region": "x"}.get, "nova")
