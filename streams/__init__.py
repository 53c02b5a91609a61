"""Hosts: what runs a topology on Kafka, or in memory."""
