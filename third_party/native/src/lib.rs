//! No code: this package exists to name dependencies.
