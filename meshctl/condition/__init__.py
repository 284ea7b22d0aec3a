"""The cluster's condition: what every layer says now, how many more failures it survives, and which diseases it has."""
