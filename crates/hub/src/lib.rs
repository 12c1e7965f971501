//! Topics, subscribers, fan-out and back-pressure.
