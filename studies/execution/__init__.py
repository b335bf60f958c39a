"""Driving a study: packs, Ray, workers, measured throughput."""
