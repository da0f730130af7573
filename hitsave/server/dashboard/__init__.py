"""The web dashboard: pages made here, no build step, nothing from other sites."""
