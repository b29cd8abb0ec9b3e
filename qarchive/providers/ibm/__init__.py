"""IBM Quantum (Qiskit Runtime): its cloud, and its local mode."""
