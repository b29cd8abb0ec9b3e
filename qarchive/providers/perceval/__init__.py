"""Perceval: photonic processors, simulated here and in clouds (Quandela, Scaleway, Kipu)."""
