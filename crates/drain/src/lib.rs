//! How fast connections are moved: pure pacing, shared by gateway and operator.
