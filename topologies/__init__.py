"""What runs, as values: topologies and topics. Importing them starts nothing."""
