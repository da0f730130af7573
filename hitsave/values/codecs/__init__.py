"""The codecs, one module each. A module has `name`, `version`, `match`, `dump` and `load`, as `codec.Codec` says."""
