"""The backbone that the README adds, as a module: what is printed there is what the tests run."""

import re
import sys
import types
from functools import lru_cache
from pathlib import Path

import longdream


@lru_cache
def readme_module():
    """Run the README's backbone as if it stood in worldmodels/backbones/, and return its names."""
    readme = (Path(longdream.__file__).parent / "README.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "(Backbone)" in block)
    module = {"__name__": "longdream.worldmodels.backbones.gru", "__package__": "longdream.worldmodels.backbones"}
    sys.modules.setdefault(module["__name__"], types.ModuleType(module["__name__"]))  # where dataclass looks
    exec(code, module)
    return module
