"""The version of this release, read by the build and by `hitsave --version`."""

__version__ = "1.0.0"
