"""The stack without containers: docker-compose.yml's services as local processes under supervisord."""
