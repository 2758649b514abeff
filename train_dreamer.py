"""Learn to act: `accelerate launch train_dreamer.py --env cartpole --out runs/cartpole`."""

if __name__ == "__main__":
    from longdream.dreamer.cli import main  # here: the environments' processes import this file, and need no torch

    main()
