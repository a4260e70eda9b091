//! Owns modules, losses, initialisers, optimisers and schedules.
