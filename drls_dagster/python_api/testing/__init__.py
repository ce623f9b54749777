"""Tests of pipelines on rows that the test gives: `drls.test`, and the fixture `drls_pipeline` for pytest."""
