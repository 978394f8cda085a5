"""How the pack is deployed on servers: the services that it needs, and their settings."""
