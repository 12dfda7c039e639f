"""Systems this project talks to, simulated on this machine: CM.com and sample source systems."""
