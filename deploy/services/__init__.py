"""Services that a deployment needs, each as one process on loopback: for a try on one machine, and for the tests.

`python -m deploy.services.s3 --folder F --port N` keeps everything in F. It writes F/environment, the variables that
clients of the service set (`set -a; . F/environment`), and then becomes the server itself.
"""
