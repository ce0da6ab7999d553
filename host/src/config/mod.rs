//! Text to validated plan.
