"""The provider APIs, simulated over real HTTP, with faults to order; it knows nothing of bide."""
