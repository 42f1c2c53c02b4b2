"""The version of this program, as the bundle was built."""

VERSION = "0.1.0"
