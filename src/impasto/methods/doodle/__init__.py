"""The neural doodle (Champandard 2016): optimisation by patches of matching regions."""
