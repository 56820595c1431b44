"""The harness behind `make interop`: servers, peers' programs, and the small language in which cases are told."""
