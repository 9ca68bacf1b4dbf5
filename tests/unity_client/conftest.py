"""The compiled harness, and a way to run it, for the tests of this folder."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from build_client import Known, build_core, build_harness, build_known
from probe import Harness
from toolchain import Toolchain, ToolchainError, ensure, find_mono


@pytest.fixture(scope="session")
def tools() -> Toolchain:
    try:
        return ensure()
    except ToolchainError as error:
        line = f"the Unity client is not tested: {error}"
        if os.environ.get("CI"):
            pytest.fail(line, pytrace=False)
        pytest.skip(line)


@pytest.fixture(scope="session")
def harness(tools: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    into = tmp_path_factory.mktemp("unity_client")
    return Harness(tools, build_harness(tools, build_core(tools, into), into))


MONO = find_mono()


@pytest.fixture(scope="session", params=["dotnet", "mono"] if MONO else ["dotnet"])
def each_harness(request: pytest.FixtureRequest, harness: Harness) -> Harness:
    """Run the same assemblies on .NET, and on mono if it is installed: it is the runtime nearest to Unity's own.

    Without mono there is nothing to skip: nothing is skipped in CI, which has no need of it.
    """
    return replace(harness, mono=MONO) if request.param == "mono" else harness


@pytest.fixture(scope="session")
def known(tools: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Known:
    return build_known(tools, tmp_path_factory.mktemp("unity_known"))
