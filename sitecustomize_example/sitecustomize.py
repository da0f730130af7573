"""Every Python of this environment records and memoises the project it runs, without `hitsave run`.

Copy this file into a folder on `sys.path` that is there before any script runs: the environment's `site-packages`, or a
folder named in PYTHONPATH. Remove it to undo it; HITSAVE_AUTOINSTALL=0 switches it off for one command. See README.md.
"""

try:
    from hitsave.importhook.startup import bootstrap, run_shadowed_sitecustomize
except ImportError:
    # hitsave isn't installed here (any more): Python starts as if this file weren't there.
    pass
else:
    bootstrap(default=True)
    # There can be only one module of this name. The one that this file hides runs all the same, last and unprotected:
    # what it raises is reported by `site` as its own.
    run_shadowed_sitecustomize(__file__)
