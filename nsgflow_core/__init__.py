"""nsgflow: which NSG, which rule, which port, seconds after Azure wrote the flow."""
