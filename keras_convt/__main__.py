"""`python -m keras_convt`: the demo, and `--version`."""

from keras_convt.demo import main

if __name__ == "__main__":
    main()
