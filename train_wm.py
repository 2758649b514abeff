"""Train a world model: `accelerate launch train_wm.py --data data/dm100 --model s4wm --out runs/dm100`."""

from longdream.worldmodels.trainer import main

if __name__ == "__main__":
    main()
