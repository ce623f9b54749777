"""Pure rules: frozen models in, frozen models or a refusal out. No store, no clock, no network."""
