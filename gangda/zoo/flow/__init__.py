"""Networks of flow matching, and the solvers that sample from them."""
